"""Fuzzing of mwv's readers: `readers` says what they are, `guard` what they may do, `reading` feeds them."""
