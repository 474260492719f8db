/** What a camera's form says of its place, and what the law makes of it. */
import type { Camera, Law, LawPlace, LawRule, PlaceFacts, PlaceKind } from '@/api/types'

/** What the person fills in; empty texts are unsaid. */
export type FactsForm = Omit<PlaceFacts, 'household_id'> & { household_id: string }

export function factsOf(camera: Partial<Camera> | null): FactsForm {
  return {
    household_id: camera?.household_id ?? '',
    place_type: camera?.place_type ?? '',
    purpose: camera?.purpose ?? '',
    owner: camera?.owner ?? '',
    contact: camera?.contact ?? '',
    retention_hours: camera?.retention_hours ?? null,
    retention_reason: camera?.retention_reason ?? '',
    signage: camera?.signage ?? false,
    residents_may_watch: camera?.residents_may_watch ?? false,
    sound: camera?.sound ?? false,
    sound_reason: camera?.sound_reason ?? '',
  }
}

/** What of `form` goes over the wire for a place of `kind`. */
export function factsBody(form: FactsForm, kind: PlaceKind): PlaceFacts {
  return {
    household_id: kind === 'home' && form.household_id ? form.household_id : null,
    place_type: form.place_type,
    purpose: form.purpose.trim(),
    owner: form.owner.trim(),
    contact: form.contact.trim(),
    retention_hours: form.retention_hours,
    retention_reason: form.retention_reason.trim(),
    signage: form.signage,
    residents_may_watch: kind === 'shared_space' && form.residents_may_watch,
    // A home is heard by its household's word: it is not asked for here.
    sound: kind !== 'home' && form.sound,
    sound_reason: kind === 'home' ? '' : form.sound_reason.trim(),
  }
}

/** Only what differs from `before`: an unchanged field is nobody's decision. */
export function factsChange(form: FactsForm, before: Camera, kind: PlaceKind): Partial<PlaceFacts> {
  const next = factsBody(form, kind)
  const old = factsBody(factsOf(before), before.place_kind)
  return Object.fromEntries(
    Object.entries(next).filter(([key, value]) => value !== old[key as keyof PlaceFacts]),
  ) as Partial<PlaceFacts>
}

/** The law's places for a kind of space: those that may be filmed first, the forbidden ones after them. */
export function placesFor(law: Law, kind: PlaceKind): LawPlace[] {
  const fitting = law.places.filter((place) => place.forbidden || place.kinds.length === 0 || place.kinds.includes(kind))
  return [...fitting.filter((place) => !place.forbidden), ...fitting.filter((place) => place.forbidden)]
}

export function ruleOf(law: Law, number: string): LawRule | undefined {
  return law.rules.find((rule) => rule.number === number)
}

/** Whether keeping recordings of `place` for `hours` asks for a reason. */
export function reasonNeeded(place: LawPlace | undefined, hours: number | null): boolean {
  return hours !== null && typeof place?.justify_above_h === 'number' && hours > place.justify_above_h
}
