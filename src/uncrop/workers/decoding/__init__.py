"""Where files of strangers are decoded: in a process of their own that can do nothing else, or in this one."""
