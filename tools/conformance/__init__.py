"""One conformance run for all clients: a scripted server of faults, agents in each language, cases for each rule."""
