@filter INPUT
-m policy --dir in --pol none ; = ; ok
-m policy --dir out --pol none ; ; fail
