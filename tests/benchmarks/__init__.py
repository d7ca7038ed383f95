"""What the system costs and how fast it is, measured beside the limits of the machine in the same run."""
