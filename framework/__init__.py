"""Cross-domain anomaly detection: one expert, any domain, one leaderboard."""
