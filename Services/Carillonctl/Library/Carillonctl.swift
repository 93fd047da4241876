// Carillonctl
