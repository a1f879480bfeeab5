package badlink

import "sync"

// Mode is what can happen to a request. Those of this package are combined:
//
//	link.Set(badlink.Imports(badlink.Share(0.2, badlink.CutBody())))
//	link.Set(badlink.Times(2, badlink.Answer(badlink.Response{Status: 503})))
//	link.Set(badlink.Stored(badlink.Reset())) // all answers are lost
type Mode struct {
	name string
	// take reports whether it has dealt with the request. name is what goes into
	// the record, so that what wraps a mode can give it another one.
	take func(x *exchange, name string) bool
}

// always is a mode that takes every request.
func always(name string, do func(x *exchange)) Mode {
	return Mode{name, func(x *exchange, name string) bool {
		x.fate(name)
		do(x)
		return true
	}}
}

// when is a mode that leaves alone what does not fulfil a condition.
func when(condition func(x *exchange) bool, m Mode) Mode {
	return Mode{m.name, func(x *exchange, name string) bool {
		return condition(x) && m.take(x, name)
	}}
}

// Imports restricts a mode to requests to an import API.
func Imports(m Mode) Mode {
	return when(func(x *exchange) bool { return x.sent.Import }, m)
}

// Others restricts a mode to all other requests: queries, exports, metrics.
func Others(m Mode) Mode {
	return when(func(x *exchange) bool { return !x.sent.Import }, m)
}

// If restricts a mode to requests that fulfil a condition.
func If(condition func(*Request) bool, m Mode) Mode {
	return when(func(x *exchange) bool { return condition(x.sent) }, m)
}

// Share restricts a mode to a random share of the requests, from 0 to 1. Of
// which kind they are to be is for a restriction around it.
func Share(share float64, m Mode) Mode {
	return when(func(x *exchange) bool { return x.link.chance(share) }, m)
}

// Times restricts a mode to the first n requests that it takes.
func Times(n int, m Mode) Mode {
	var mu sync.Mutex // guards left
	left := n
	return when(func(*exchange) bool {
		mu.Lock()
		defer mu.Unlock()
		left--
		return left >= 0
	}, m)
}

// After leaves the first n requests alone that a mode would be offered.
func After(n int, m Mode) Mode {
	var mu sync.Mutex // guards seen
	seen := 0
	return when(func(*exchange) bool {
		mu.Lock()
		defer mu.Unlock()
		seen++
		return seen > n
	}, m)
}

// Named gives a mode the name by which Import.Fate shows it.
func Named(name string, m Mode) Mode {
	return Mode{name, func(x *exchange, _ string) bool { return m.take(x, name) }}
}
