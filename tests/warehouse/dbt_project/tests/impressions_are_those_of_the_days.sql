select modelled.impressions, days.impressions as impressions_of_days
from (select sum(impressions) as impressions from {{ ref('tweets_by_day') }}) as modelled
cross join (select sum(impressions) as impressions from {{ source('engagement', 'engagement_by_day') }}) as days
where modelled.impressions is null or modelled.impressions <> days.impressions
