// Package sim is the world in which the tests run this module's machines: a
// virtual clock, links that delay, lose, duplicate and reorder, and nodes that
// crash. A run depends on its seed alone, so that a failure replays.
//
//	sim.Seeds(t, 1000, func(t *testing.T, net *sim.Net) {
//		server := sim.NewNode(net, "server", performForServer)
//		toServer := net.Link("client to server", faults, func(pkt []byte) {
//			server.Input(func(now time.Time, acts []Action) []Action {
//				acts, _ = machine.HandleMessage(now, src, pkt, acts)
//				return acts
//			})
//		})
//		server.Start(machine)
//		require.NoError(t, net.RunUntil(start.Add(time.Hour)))
//	})
//
// A [Node] drives one machine as a program does: it performs the actions of each
// input in their order and arms one timer at the machine's deadline. What it
// knows of machines is in [Machine]; anything that has these two methods can be
// simulated. [Node.Crash] takes the machine away, and with it all that
// [Node.After] has under way; what a program keeps on disk is for the test to
// keep and to put into the machine that it starts next.
//
// Everything happens on the goroutine that calls [Net.RunUntil], one event at a
// time; events of the same instant in the order in which they were scheduled.
package sim
