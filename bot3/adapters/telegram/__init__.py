"""The Telegram client and its deliveries."""
