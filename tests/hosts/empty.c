/* Nothing: what remains of a preload's cost when the preload does nothing. */
