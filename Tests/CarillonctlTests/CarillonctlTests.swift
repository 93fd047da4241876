// CarillonctlTests
