"""What is heard of kickoffs: that they have ended (`ends`), and what they report while they run (`following`)."""
