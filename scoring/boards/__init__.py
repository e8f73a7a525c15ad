"""The pages that show what a study has brought: its dashboard and the leaderboard of its editors."""
