"""What results become for a reader: numbers as text, Markdown, figures, HTML pages."""
