"""What the user wrote -> something that can be kicked off."""
