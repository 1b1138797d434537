module probe

go 1.27

require runner/step v0.0.0

replace runner/step => ../../../../../../sdk/go
