// Not the name alone, which Go may have for a package of its own.
module steps/{{name}}

go 1.27

require runner/step v0.0.0

replace runner/step => ./sdk
