"""Use cases of the platform; they access stores, exchange and clock only through the interfaces in `bot3.ports`."""
