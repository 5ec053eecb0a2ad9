"""What makes an identifier or a prompt shareable and comparable."""
