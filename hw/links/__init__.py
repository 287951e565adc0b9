"""Links between memories and between devices: host copies and collectives."""
