"""Networks beside each other: tables of several trainings under one protocol."""
