"""Pictures and a question -> an answer: LLaVA-OneVision with the anomaly expert inside. Loads no torch."""
