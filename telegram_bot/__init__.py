"""The Telegram process: answers questions from the stores, and tells what changed."""
