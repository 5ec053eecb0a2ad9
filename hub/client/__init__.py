"""What members run: publisher, subscriber, liaison."""
