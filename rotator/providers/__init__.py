"""Where keys live: one file per provider, each an implementation of `ports.Provider`."""
