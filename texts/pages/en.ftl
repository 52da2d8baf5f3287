# Texts of the web pages. Every id stands in every file of this folder with the same arguments.
language-name = English
