"""Who is told of what, when and how: policies as data, chosen once per incident."""
