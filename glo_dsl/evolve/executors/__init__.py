"""Where candidates are trained: this process, others on this machine, or a Ray cluster."""
