"""The report's templates, loaded as package data of ``forensic_emotion.templates``."""
