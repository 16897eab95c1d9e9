package policy

// Draft is the route or controller that units work on.
type Draft struct{}
