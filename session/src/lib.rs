//! Puts a process into a jail's session: namespaces, mounts, root directory, ids, terminal.
