metadata description = 'Whom alerts reach, by severity.'

import { Tags, Contacts } from 'types.bicep'

@description('Ends the names.')
param suffix string

@description('Tags.')
param tags Tags

@description('Whom alerts reach.')
param contacts Contacts

@description('The address of a Teams workflow that makes a card of an alert and posts it; empty for none.')
@secure()
param teamsUrl string

@description('The integration address of a PagerDuty service; empty for none.')
@secure()
param pagerDutyUrl string

var mail = map(contacts.mail, m => { name: m, emailAddress: m, useCommonAlertSchema: true })
var sms = map(
  contacts.sms,
  s => { name: 'sms-${s.country}-${s.number}', countryCode: s.country, phoneNumber: s.number }
)
// Teams hears of everything; only what cannot wait rings. Both addresses hold a signature: a logic app's would too,
// which Microsoft names for Teams, so the card is made by the workflow that is there anyway.
var teams = empty(teamsUrl) ? [] : [{ name: 'teams', serviceUri: teamsUrl, useCommonAlertSchema: true }]
var pager = empty(pagerDutyUrl) ? [] : [{ name: 'pagerduty', serviceUri: pagerDutyUrl, useCommonAlertSchema: true }]

resource actions 'Microsoft.Insights/actionGroups@2023-01-01' = [
  for severity in range(0, 4): {
    name: 'ag-sev${severity}-${suffix}'
    location: 'global'
    tags: tags
    properties: {
      enabled: true
      groupShortName: 'polis-sev${severity}'
      emailReceivers: mail
      smsReceivers: severity <= 1 ? sms : []
      webhookReceivers: concat(teams, severity <= 1 ? pager : [])
    }
  }
]
