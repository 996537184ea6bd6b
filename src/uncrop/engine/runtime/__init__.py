"""What the steps of the engine run on: threads, random numbers, compiled kernels, memory, deadline and progress."""
