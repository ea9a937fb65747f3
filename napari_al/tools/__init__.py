"""What works on a project or a model beside a session: predict, export, pseudo-label."""
