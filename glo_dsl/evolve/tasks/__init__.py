"""What losses are judged on."""
