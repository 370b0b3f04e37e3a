"""The Telegram process, which answers commands from the stores and sends alerts."""
