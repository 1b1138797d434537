module runner/step

go 1.27
