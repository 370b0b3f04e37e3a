"""The shared package of the apps: rules of trading and learning, stores and exchanges, settings, and the command `bot3`."""
