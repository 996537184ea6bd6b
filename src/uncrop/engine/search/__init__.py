"""Better sources and a better picture at one level, and the way to the next finer one."""
