// Package rehearsal runs scripts/deploy, switch, drill and capacity from end to end, without Azure: its tests put
// a CLI on the scripts' path that knows the commands and options of a version of the Azure CLI
// (testdata/az-2.91.0.json, from its own help), answers in its shapes, and changes a made subscription as Azure
// would. What they did, in their order, is in testdata as well. What only Azure can show it cannot: whether a
// name or a right is as it should be there.
package rehearsal
