"""Stage: masks of liver and tumours."""
