"""The Telegram process, which answers commands with figures from the stores and sends alerts."""
