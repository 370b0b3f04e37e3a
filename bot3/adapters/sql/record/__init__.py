"""The platform's record: closed trades, replays, parameters, scores, regimes, outbox."""
