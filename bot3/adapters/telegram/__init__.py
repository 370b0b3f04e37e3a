"""Client of Telegram's Bot API, and the notifier and the chat that use it."""
