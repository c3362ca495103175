"""recado: alerts from schools to families, and talks between the web and handsets, by SMS."""
