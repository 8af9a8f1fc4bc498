"""Figures, as ratios against a plain program run beside it. Commands, never tests: nothing here passes or fails."""
