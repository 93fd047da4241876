"""What the system tests are made of: the suite's processes, and clients that count what they receive."""
