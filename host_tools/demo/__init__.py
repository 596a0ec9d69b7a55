"""The demo: the main job from certificates to accepted messages, on this computer alone."""
