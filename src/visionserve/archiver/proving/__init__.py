"""The finished archive, opened where nothing but itself and the installed libraries can be imported."""
