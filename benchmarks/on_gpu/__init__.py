"""What `gpu.py` measures: a section each, run one after the other in a process that the script watches."""
